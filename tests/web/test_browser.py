"""The page in Chromium, used by mouse, by keyboard and with files."""

import json
from urllib.parse import urlsplit

import pytest
from PIL import Image, ImageDraw
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

pytestmark = pytest.mark.browser

# In pixels of the drawing area, from its middle.
SEVEN = [(-60, -75), (65, -75), (-10, 90)]
ONE = [(0, -90), (0, 90)]
PATIENCE = 60  # seconds: the machine may be busy


@pytest.fixture
def open_page(browser, page):
    """open_page(...) opens the page, light or dark, and clears the browser's logs."""

    def open_it(url=page.url, dark=False, width=1100):
        colours = {
            "name": "prefers-color-scheme",
            "value": "dark" if dark else "light",
        }
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [colours]})
        resize(browser, width, 1000)
        for log in ("browser", "performance"):
            browser.get_log(log)
        browser.get(url)
        return browser

    yield open_it
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def resize(browser, width, height):
    size = {"width": width, "height": height, "mobile": width < 600}
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**size, "deviceScaleFactor": 1}
    )


def until(browser, condition):
    gone = (StaleElementReferenceException,)  # replaced by the next prediction
    wait = WebDriverWait(browser, PATIENCE, 0.05, ignored_exceptions=gone)
    return wait.until(condition)


def usable(browser, element_id):
    """Return an element once it is shown and enabled."""
    there = expected_conditions.element_to_be_clickable((By.ID, element_id))
    return until(browser, there)


def text(browser, element_id):
    return browser.find_element(By.ID, element_id).text


def announced(browser):
    """Return the text that a screen reader announces for the latest prediction."""
    return browser.find_element(By.ID, "announcement").get_attribute("textContent")


def until_predicted(browser, label):
    until(browser, lambda _: text(browser, "label") == label)


def until_ready(browser):
    until(browser, lambda _: "28 × 28" in text(browser, "model-facts"))


def draw(browser, points):
    canvas = usable(browser, "drawing")
    chain = ActionChains(browser, duration=60)
    chain.move_to_element_with_offset(canvas, *points[0]).click_and_hold()
    for point in points[1:]:
        chain.move_to_element_with_offset(canvas, *point)
    chain.release().perform()


def screenshot(browser, path):
    height = browser.execute_script("return document.documentElement.scrollHeight")
    width = browser.execute_script("return innerWidth")
    resize(browser, width, height)
    browser.save_screenshot(str(path))


def severe_logs(browser):
    return [each for each in browser.get_log("browser") if each["level"] == "SEVERE"]


@pytest.mark.parametrize(
    ("name", "look"),
    [
        ("light", {}),
        ("dark", {"dark": True}),
        ("phone", {"width": 390}),
    ],
)
def test_a_drawn_digit_is_recognised(open_page, artefacts, name, look):
    browser = open_page(**look)
    until_ready(browser)
    draw(browser, SEVEN)
    until_predicted(browser, "7")
    until(browser, lambda _: "7, " in announced(browser))  # no request is pending
    assert "probability" in text(browser, "probability")
    assert text(browser, "version") == "version 1"
    assert text(browser, "grpc").endswith(" ms")
    assert text(browser, "total").endswith(" ms")
    rows = browser.find_elements(By.CSS_SELECTOR, "#classes tr")
    assert len(rows) == 5
    assert rows[0].text.startswith("7")
    assert "evidence for “7”" in text(browser, "heat-note")
    assert "whitening" in text(browser, "maps-note")
    maps = browser.find_elements(By.CSS_SELECTOR, "#maps canvas")
    assert len(maps) == 8
    overflow = "return document.documentElement.scrollWidth - innerWidth"
    assert browser.execute_script(overflow) <= 0
    screenshot(browser, artefacts / f"web-{name}.png")
    assert severe_logs(browser) == []


def test_no_request_leaves_the_machine(open_page, page):
    browser = open_page()
    until_ready(browser)
    draw(browser, SEVEN)
    until_predicted(browser, "7")
    events = [
        json.loads(entry["message"])["message"]
        for entry in browser.get_log("performance")
    ]
    requested = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    own = urlsplit(page.url).netloc
    assert len(requested) > 8  # the page, its files and its requests
    assert {urlsplit(url).netloc for url in requested} == {own}


def test_the_content_security_policy_blocks_other_hosts(open_page):
    """A script on the page cannot fetch from another origin."""
    browser = open_page()
    reached = browser.execute_async_script(
        "const done = arguments[0];"
        "fetch('http://127.0.0.1:1/').then(() => done('reached'),"
        "  (error) => done(String(error)));"
    )
    assert "TypeError" in reached
    logged = " ".join(entry["message"] for entry in severe_logs(browser))
    assert "Content Security Policy" in logged


def test_the_page_is_usable_by_keyboard_alone(open_page):
    browser = open_page()
    until_ready(browser)
    keys = ActionChains(browser)
    for _ in range(10):
        keys.send_keys(Keys.TAB).perform()
        if browser.switch_to.active_element.get_attribute("id") == "drawing":
            break
    assert browser.switch_to.active_element.get_attribute("id") == "drawing"
    down, up = Keys.ARROW_DOWN * 18, Keys.ARROW_UP * 9
    keys = ActionChains(browser, duration=0)
    keys.send_keys(up, Keys.SPACE, down, Keys.SPACE).perform()
    until_predicted(browser, "1")
    # clear the drawing, then choose one of the sample digits
    ActionChains(browser).send_keys(Keys.BACKSPACE).perform()
    until(
        browser, lambda _: not browser.find_element(By.ID, "prediction").is_displayed()
    )
    for _ in range(10):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        if browser.switch_to.active_element.text == "4":
            break
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    until_predicted(browser, "4")
    until(browser, lambda _: "4, " in announced(browser))
    # and the evidence for the second class
    second = browser.find_elements(By.CSS_SELECTOR, "#classes button")[1]
    label = second.text
    browser.execute_script("arguments[0].focus()", second)
    ActionChains(browser).send_keys(Keys.SPACE).perform()
    until(browser, lambda _: f"evidence for “{label}”" in text(browser, "heat-note"))
    assert browser.switch_to.active_element == second


def test_a_chosen_file_is_classified(open_page, tmp_path):
    photo = Image.new("RGB", (600, 400), (214, 206, 190))
    points = [(300 + x, 200 + y) for x, y in SEVEN]
    ImageDraw.Draw(photo).line(points, fill=(40, 40, 70), width=18, joint="curve")
    photo.save(tmp_path / "seven.jpg")
    browser = open_page()
    until_ready(browser)
    browser.find_element(By.ID, "file").send_keys(str(tmp_path / "seven.jpg"))
    until(browser, lambda _: "scaled to the input size" in text(browser, "input-note"))
    usable(browser, "photo").click()
    until(browser, lambda _: "cut out of the photograph" in text(browser, "input-note"))
    until_predicted(browser, "7")
    (tmp_path / "not.png").write_bytes(b"no picture")
    browser.find_element(By.ID, "file").send_keys(str(tmp_path / "not.png"))
    until(browser, lambda _: "not an image" in text(browser, "error"))
    assert not browser.find_element(By.ID, "prediction").is_displayed()


def test_a_stopped_server_is_reported_in_one_sentence(
    open_page, repository, start_server, start_page
):
    with (
        start_server(repository, "plain") as (server, target),
        start_page(target) as page,
    ):
        browser = open_page(page.url)
        usable(browser, "model-name").send_keys("plain", Keys.ENTER)
        until_ready(browser)
        server.drain(5)
        draw(browser, ONE)
        until(browser, lambda _: "No server responds" in text(browser, "error"))
        assert not browser.find_element(By.ID, "prediction").is_displayed()
        usable(browser, "clear").click()
        until(browser, lambda _: text(browser, "error") == "")


def test_an_unknown_model_is_reported_in_one_sentence(open_page, target, start_page):
    with start_page(target) as page:
        browser = open_page(page.url)
        name = usable(browser, "model-name")
        name.send_keys("nobody", Keys.ENTER)
        until(browser, lambda _: "no model 'nobody'" in text(browser, "error"))
        name.clear()
        name.send_keys("plain", Keys.ENTER)
        until_ready(browser)
        assert text(browser, "error") == ""
        draw(browser, SEVEN)
        until_predicted(browser, "7")
        assert "--with-explain" in text(browser, "no-heat")
        assert "--with-explain" in text(browser, "no-maps")

// Questions to the page's own server; errors are sentences.

const INTERVAL = 80; // ms between two questions while somebody draws

export class Refused extends Error {}

export async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The page’s own server does not answer; is `fovea web` still running?");
  }
  let answer;
  try {
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(`The page’s own server gave no usable answer (${response.status}).`);
  }
  if (!response.ok) throw new Refused(answer.error);
  return answer;
}

// Asks about the latest picture. While it changes there is one question at a time, so
// that answers keep coming; once it is finished, what is under way is given up for it.
export class Latest {
  #handle;
  #timer = null;
  #aborter = null;
  #waiting = null;

  // handle(work, signal) asks and shows; it resolves when it is done.
  constructor(handle) {
    this.#handle = handle;
  }

  offer(work, finished) {
    if (finished) {
      this.cancel();
      this.#start(work);
      return;
    }
    this.#waiting = work;
    if (this.#timer === null && this.#aborter === null) this.#later();
  }

  cancel() {
    clearTimeout(this.#timer);
    this.#timer = this.#waiting = null;
    this.#aborter?.abort();
    this.#aborter = null;
  }

  #later() {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const work = this.#waiting;
      this.#waiting = null;
      if (work) this.#start(work);
    }, INTERVAL);
  }

  async #start(work) {
    const aborter = (this.#aborter = new AbortController());
    await this.#handle(work, aborter.signal);
    if (aborter !== this.#aborter) return;
    this.#aborter = null;
    if (this.#waiting) this.#later();
  }
}

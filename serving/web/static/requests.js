// Requests to the server of this page; the messages of errors are sentences.

const INTERVAL = 80; // ms between two requests while the user draws

export class RequestError extends Error {}

// Returns the JSON of the response.
export async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError("The server of this page does not respond; is `fovea web` still running?");
  }
  let body;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError(`The server of this page sent an invalid response (${response.status}).`);
  }
  if (!response.ok) throw new RequestError(body.error);
  return body;
}

// Sends requests for the latest image only. While it changes there is one request at a
// time, so that results keep coming; the finished image aborts a request under way.
export class LatestRequest {
  #send;
  #timer = null;
  #aborter = null;
  #pending = null;

  // send(image, signal) sends the request, shows the result and then resolves.
  constructor(send) {
    this.#send = send;
  }

  submit(image, finished) {
    if (finished) {
      this.cancel();
      this.#start(image);
      return;
    }
    this.#pending = image;
    if (this.#timer === null && this.#aborter === null) this.#schedule();
  }

  cancel() {
    clearTimeout(this.#timer);
    this.#timer = this.#pending = null;
    this.#aborter?.abort();
    this.#aborter = null;
  }

  #schedule() {
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const image = this.#pending;
      this.#pending = null;
      if (image) this.#start(image);
    }, INTERVAL);
  }

  async #start(image) {
    const aborter = (this.#aborter = new AbortController());
    await this.#send(image, aborter.signal);
    if (aborter !== this.#aborter) return;
    this.#aborter = null;
    if (this.#pending) this.#schedule();
  }
}

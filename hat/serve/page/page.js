"use strict";

const part = (id) => document.getElementById(id);
const languages = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });
let running = null;

async function asked(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function milliseconds(value) {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function say(status, error = "") {
  part("status").textContent = status;
  part("error").textContent = error;
}

async function describe() {
  const model = await asked("model");
  const [source, target] = [model.source_language, model.target_language].map((code) => languages.of(code));
  part("title").textContent = document.title = `${source} to ${target}`;
  part("source-label").textContent = source;
  part("source").lang = model.source_language;
  part("translation-label").textContent = `${target} translation`;
  part("translation").lang = model.target_language;
  part("model").textContent = [
    ["Model", model.budget ?? model.baseline],
    ["task", model.task],
    ["made for", model.device],
    ["runs on", `${model.runtime}, ${model.precision}`],
  ]
    .filter(([, value]) => value)
    .map((words) => words.join(" "))
    .join("; ");
}

async function translate() {
  running?.abort();
  const mine = (running = new AbortController());
  const entered = part("source").value;
  // Half an emoji, cut by an editor, is no text.
  const text = entered.toWellFormed?.() ?? entered;
  say("Translating …");
  try {
    const answer = await asked("translate", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text }),
      signal: mine.signal,
    });
    const [made] = answer.translations;
    part("translation").value = made.text;
    say(`Translated in ${milliseconds(made.latency_ms)}.`);
  } catch (error) {
    if (mine.signal.aborted) return;
    part("translation").value = "";
    const reason = error instanceof TypeError ? "the server cannot be reached" : error.message;
    say("", `Not translated: ${reason}.`);
  }
}

part("form").addEventListener("submit", (event) => {
  event.preventDefault();
  translate();
});
part("source").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    part("form").requestSubmit();
  }
});
describe().catch((error) => say("", `Nothing is known about the model: ${error.message}.`));

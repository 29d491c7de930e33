/* node site_search.js FOLDER < questions.json: the pages that the search of a built site gives for
   each question, best first, as its own page would show them. */
const fs = require("fs"), path = require("path"), vm = require("vm");

const folder = process.argv[2];
const page = fs.readFileSync(path.join(folder, "search.html"), "utf-8");
const names = [...page.matchAll(/<script[^>]* src="([^"?]*)/g)].map(m => m[1]);
const wanted = /(stemmer|language_data|searchtools|searchindex)\.js$/;
const context = vm.createContext({
  console, window: {}, document: {getElementById: () => null}, localStorage: {setItem() {}},
  _: text => text, _ready: () => {}, SPHINX_HIGHLIGHT_ENABLED: false,
});
context.window = context;
for (const name of names.filter(n => wanted.test(n))) {
  const file = path.join(folder, name);
  vm.runInContext(fs.readFileSync(file, "utf-8"), context, {filename: file});
}
const questions = JSON.parse(fs.readFileSync(0, "utf-8"));
context.questions = JSON.stringify(questions);
console.log(vm.runInContext(`JSON.stringify(JSON.parse(questions).map(question =>
  Search._performSearch(...Search._parseQuery(question)).reverse().slice(0, 6)
    .map(hit => hit[0] + hit[2])))`, context));

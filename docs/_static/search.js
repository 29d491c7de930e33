/* Ranking of the search. A name leads to its reference and then to its lesson; a question leads
   to the pages whose titles, headings and words answer it, rare words first.
   LESSONS (module → page) and WORDS (page → further words of readers) are written by the build. */
var Scorer = {objNameMatch: 11, objPartialMatch: 6, objPrio: {0: 15, 1: 5, 2: -5},
              objPrioDefault: 0, title: 15, partialTitle: 7, term: 5, partialTerm: 2};
var LESSONS = {}, WORDS = {};
const RANK = [["reference/", 0.35], ["workshop/", 0.5], ["genindex", 0], ["papers", 0.8], ["zh/", 0.2]];

const list = files => files === undefined ? [] : typeof files === "number" ? [files] : files;

function namedObjects(index, asked, exact) {
  const found = [];
  for (const [prefix, objects] of Object.entries(index.objects)) {
    for (const [file, type, , anchor, name] of objects) {
      const full = prefix ? `${prefix}.${name}` : name, last = name.split(".").pop();
      const low = last.toLowerCase(), kind = index.objnames[type][1];
      let score = 0;
      if (low === asked || full.toLowerCase() === asked) score = 1000;
      else if (full.toLowerCase().endsWith("." + asked)) score = 1000;
      else if (asked.length > 2 && low.startsWith(asked)) score = 90;
      else if (asked.length > 3 && low.includes(asked)) score = 40;
      if (!score) continue;
      if (last === exact) score += 5;
      if (kind === "module") score *= 0.3;
      else if (!["class", "function", "data"].includes(kind)) score *= 0.5;
      const label = index.objnames[type][2];
      found.push({file, full, kind, score, module: prefix, place: "#" + (anchor || full), label});
    }
  }
  return found.sort((a, b) => b.score - a.score || a.full.length - b.full.length);
}

function pageScores(index, terms) {
  const stemmer = new Stemmer(), count = index.docnames.length, scores = new Map();
  const stems = text => text.toLowerCase().split(/[^\p{L}\p{N}_]+/u).map(w => stemmer.stemWord(w));
  const titles = index.titles.map((title, k) => new Set(stems(
    [title, index.docnames[k], ...(WORDS[index.docnames[k]] || [])].join(" "))));
  for (const term of terms) {
    const weight = new Map();
    const add = (files, w) => list(files).forEach(f =>
      weight.set(f, Math.max(w, weight.get(f) || 0)));
    for (const [from, w] of [[index.terms, 1], [index.titleterms, 2]]) {
      if (Object.hasOwn(from, term)) add(from[term], w);
      else if (term.length > 2) {
        for (const word of Object.keys(from)) if (word.startsWith(term)) add(from[word], w / 2);
      }
    }
    titles.forEach((words, k) => { if (words.has(term)) add(k, 5); });
    const rare = Math.log(1 + count / Math.max(1, weight.size));
    for (const [file, w] of weight) {
      const seen = scores.get(file) || {score: 0, terms: 0};
      scores.set(file, {score: seen.score + w * rare, terms: seen.terms + 1});
    }
  }
  return scores;
}

function ranked(query, searchTerms, excludedTerms, highlightTerms, objectTerms) {
  const index = Search._index, exact = query.trim().replace(/\(\)$/, "");
  const asked = exact.toLowerCase(), found = [];
  const add = (file, title, anchor, about, score, kind) => found.push(
    [index.docnames[file], title, anchor, about, score, index.filenames[file], kind]);
  const named = /\s/.test(asked) ? [] : namedObjects(index, asked, exact);
  const lessons = new Set();
  named.slice(0, 40).forEach(({file, full, kind, score, module, place, label}, k) => {
    add(file, full, place, `${label}, in ${index.titles[file]}`, score - k / 10, "object");
    const page = index.docnames.indexOf(LESSONS[module]);
    if (score < 1000 || page < 0 || lessons.has(page)) return;
    lessons.add(page);
    add(page, index.titles[page], "", null, score - k / 10 - 0.05, "title");
  });
  const terms = [...searchTerms];
  for (const [file, {score, terms: seen}] of pageScores(index, terms)) {
    if (lessons.has(file)) continue;
    const name = index.docnames[file];
    let rank = 1;
    for (const [prefix, r] of RANK) if (name.startsWith(prefix)) rank = r;
    if (index.titles[file].toLowerCase() === asked) rank *= 3;
    add(file, index.titles[file], "", null, 5 * score * rank * (seen / terms.length) ** 2, "text");
  }
  const excluded = new Set([...excludedTerms].flatMap(t =>
    [...list(index.terms[t]), ...list(index.titleterms[t])]).map(f => index.docnames[f]));
  return found.filter(r => r[4] > 0 && !excluded.has(r[0])).sort((a, b) => a[4] - b[4]).slice(-60);
}

Search._performSearch = ranked;

// The table of all networks: sort by a column, filter by words, trunk and whether it was measured.
const number = text => { const found = /^-?\d+(\.\d+)?/.exec(text.trim()); return found ? +found[0] : null; };

// Rows (arrays of texts) in the order of a column; cells without a number come last.
function sorted(rows, column, descending) {
  const numeric = rows.some(row => number(row[column]) !== null);
  const key = row => numeric ? number(row[column]) : row[column].trim().toLowerCase();
  return rows.map((_, i) => i).sort((a, b) => {
    const [x, y] = [key(rows[a]), key(rows[b])];
    if (x === null || y === null) return (x === null) - (y === null) || a - b;
    return (descending ? -1 : 1) * (x < y ? -1 : x > y ? 1 : 0) || a - b;
  });
}

// Whether a row has all words in its name and is of the trunk.
function matches(name, words, trunk) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return wanted.every(word => name.toLowerCase().includes(word)) && (!trunk || name.endsWith('_' + trunk));
}

function enhance(table) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0], rows = [...body.rows];
  const texts = rows.map(row => [...row.cells].map(cell => cell.textContent));
  const trunks = [...new Set(texts.map(row => row[0].trim().split('_').slice(1).join('_'))
    .map(end => (/(mobilenet_v2|[a-z0-9]+)$/.exec(end) || [''])[0]))].filter(Boolean).sort();
  table.classList.add('leaderboard');
  texts.forEach((row, i) => row.forEach((text, j) => {
    if (/^not |^none$/.test(text.trim())) rows[i].cells[j].classList.add('absent');
  }));
  const bar = document.createElement('div');
  bar.className = 'leaderboard-bar';
  bar.innerHTML = '<label>Name <input type="search" placeholder="hgc tiny"></label>' +
    '<label>Trunk <select><option value="">all</option>' + trunks.map(t => `<option>${t}</option>`).join('') +
    '</select></label><label><input type="checkbox"> only with an accuracy of ours</label>' +
    '<output aria-live="polite"></output>';
  const [words, trunk, ours] = bar.querySelectorAll('input[type=search], select, input[type=checkbox]');
  const shares = heads.map((head, j) => /%/.test(head.textContent) && !/print/.test(head.textContent) ? j : -1)
    .filter(j => j >= 0);
  function filter() {
    let shown = 0;
    rows.forEach((row, i) => {
      const measured = shares.some(j => number(texts[i][j]) !== null);
      row.hidden = !(matches(texts[i][0].trim(), words.value, trunk.value) && (!ours.checked || measured));
      shown += !row.hidden;
    });
    bar.querySelector('output').textContent = `${shown} of ${rows.length} networks`;
  }
  heads.forEach((head, column) => {
    if (/links/.test(head.textContent)) return;
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const before = head.getAttribute('aria-sort');
      const descending = before ? before === 'ascending' : /%/.test(head.textContent);
      heads.forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
      body.append(...sorted(texts, column, descending).map(i => rows[i]));
    });
  });
  bar.addEventListener('input', filter);
  (table.closest('.pst-scrollable-table-container') || table).before(bar);
  filter();
}

if (typeof document !== 'undefined') {
  document.addEventListener('DOMContentLoaded', () => {
    const table = [...document.querySelectorAll('article table, main table')]
      .find(one => one.tHead && one.tHead.textContent.trim().startsWith('network'));
    if (table) enhance(table);
  });
} else {
  module.exports = { sorted, matches, number };
}

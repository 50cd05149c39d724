"use strict";
(function () {
  const PAGE = 50;
  const form = document.getElementById("search");
  const status = document.getElementById("status");
  const table = document.getElementById("results");
  const body = table.tBodies[0];
  const more = document.getElementById("more");
  let turn = 0;
  let found = [];
  let shown = 0;

  function plain(text) {
    return text.normalize("NFKC").toLowerCase().replace(/\s+/g, "");
  }

  async function load(path) {
    const answer = await fetch(path, { credentials: "omit" });
    if (!answer.ok) {
      throw new Error(String(answer.status));
    }
    return answer.json();
  }

  function cell(row, label, text) {
    const made = row.insertCell();
    made.dataset.label = label;
    made.textContent = text;
    return made;
  }

  function show() {
    for (const [part, entry] of found.slice(shown, shown + PAGE)) {
      const row = body.insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      const link = document.createElement("a");
      link.href = "d/" + entry[0].slice(0, 2) + "/" + entry[0] + ".html";
      link.textContent = entry[1];
      head.append(link);
      row.append(head);
      cell(row, "文号", entry[2]);
      cell(row, "类别", part.label).className = "kind";
      cell(row, "决定机关", entry[5]);
      cell(row, "决定日期", entry[4]).className = "day";
    }
    shown = Math.min(found.length, shown + PAGE);
    table.hidden = shown === 0;
    more.hidden = shown === found.length;
  }

  function wanted(entry, query) {
    return [entry[1], entry[2], entry[3], entry[5]].some((text) => plain(text).includes(query));
  }

  async function search() {
    const mine = ++turn;
    const query = plain(form.elements.q.value);
    body.replaceChildren();
    found = [];
    shown = 0;
    table.hidden = true;
    more.hidden = true;
    if (Array.from(query).length < 2) {
      status.textContent = "请输入至少两个字。";
      return;
    }
    status.textContent = "正在查询……";
    try {
      const catalog = form.elements.catalog.value;
      const year = form.elements.year.value;
      const parts = (await load("search/contents.json")).filter(
        (part) => (!catalog || part.catalog === catalog) && (!year || part.month.startsWith(year))
      );
      for (const part of parts) {
        for (let number = 1; number <= part.shards; number += 1) {
          const entries = await load("search/" + part.catalog + "-" + part.month + "-" + number + ".json");
          if (mine !== turn) {
            return;
          }
          for (const entry of entries) {
            if (wanted(entry, query)) {
              found.push([part, entry]);
            }
          }
        }
        if (shown < PAGE && found.length > shown) {
          show();
        }
      }
    } catch (error) {
      if (mine === turn) {
        status.textContent = "查询没有完成，请稍后再试。";
      }
      return;
    }
    more.hidden = shown === found.length;
    status.textContent = found.length ? "查到 " + found.length + " 条。" : "没有查到公示中的信息。";
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const asked = new URLSearchParams(new FormData(form));
    history.replaceState(null, "", "?" + asked.toString());
    search();
  });
  more.addEventListener("click", () => {
    const first = shown;
    show();
    body.rows[first].querySelector("a").focus();
  });
  const given = new URLSearchParams(location.search);
  for (const name of ["q", "catalog", "year"]) {
    if (given.get(name)) {
      form.elements[name].value = given.get(name);
    }
  }
  if (form.elements.q.value) {
    search();
  }
})();

(() => {
  const DAY = 864e5;
  const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
  const date = (day) => { const t = new Date(day * DAY); return `${t.getUTCDate()} ${months[t.getUTCMonth()]} ${t.getUTCFullYear()}`; };
  const figures = (data, i) => data.names.map((name, k) => {
    const x = data.columns[k][i];
    if (name === 'drawdown') return `drawdown ${x < 0 ? '−' : ''}${Math.abs(x).toFixed(1)}%`;
    return `${name} ${data.money ? Math.round(x).toLocaleString('en') : x.toFixed(2) + '×'}`;
  });
  for (const figure of document.querySelectorAll('figure.hover')) {
    const data = JSON.parse(figure.querySelector('script').textContent);
    const frames = [...figure.querySelectorAll('.frame')];
    const out = figure.querySelector('output');
    const cursors = frames.map((frame) => frame.appendChild(Object.assign(document.createElement('div'), { className: 'cursor', hidden: true })));
    const hide = () => { out.textContent = ''; cursors.forEach((c) => { c.hidden = true; }); };
    const show = (event) => {
      const area = frames[0].getBoundingClientRect();
      const day = data.from + (event.clientX - area.left) / area.width * (data.to - data.from);
      let i = data.day.findIndex((d) => d >= day);
      if (i < 0) i = data.day.length - 1;
      if (i > 0 && day - data.day[i - 1] < data.day[i] - day) i -= 1;
      const left = `${100 * (data.day[i] - data.from) / (data.to - data.from)}%`;
      cursors.forEach((c) => { c.hidden = false; c.style.left = left; });
      out.textContent = [date(data.day[i]), ...figures(data, i)].join(' · ');
    };
    for (const frame of frames) {
      for (const kind of ['pointermove', 'pointerdown']) frame.addEventListener(kind, show);
      frame.addEventListener('pointerleave', hide);
    }
  }
})();

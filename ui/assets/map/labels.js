// Labels are asked for when somebody looks, and kept; an answer for another map is dropped.
const KNOWN_MOST = 20000;
const LOOKS = 60;

const unknown = (feature) => ({ feature, name: `#${feature}`, label: "" });

// `ask(features)` answers { features } or { problem }, which goes to `fail(text)`.
function newLabels(ask, fail) {
  let known = new Map(), waiting = null;
  const describe = async (features) => {
    const mine = known, missing = features.filter((feature) => !mine.has(feature));
    if (missing.length) {
      const answer = await ask(missing);
      if (mine !== known) return null;
      if (answer.problem) { fail(answer.problem); return null; }
      if (mine.size > KNOWN_MOST) mine.clear();
      for (const each of answer.features) mine.set(each.feature, each);
    }
    return features.map((feature) => mine.get(feature) || unknown(feature));
  };
  return {
    describe,
    get: (feature) => known.get(feature),
    orName: (feature) => known.get(feature) || unknown(feature),
    keep: (lines) => { for (const each of lines) known.set(each.feature, { ...each, amount: undefined }); },
    rename: (name, label) => { for (const each of known.values()) if (each.name === name) each.label = label; },
    forget: () => { known = new Map(); clearTimeout(waiting); },
    // Who only passes over a point asks for nothing.
    soon: (feature, then) => {
      clearTimeout(waiting);
      if (!known.has(feature)) waiting = setTimeout(async () => { if (await describe([feature])) then(); }, LOOKS);
    },
  };
}

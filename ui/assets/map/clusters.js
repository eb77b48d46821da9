// Where each cluster lies, the largest first, and which points are its.
function clusterPlaces(points) {
  const most = points.clusters.reduce((a, b) => Math.max(a, b), 0) + 1;
  const counts = new Uint32Array(most), xs = new Float64Array(most), ys = new Float64Array(most);
  for (let at = 0; at < points.n; at++) {
    const cluster = points.clusters[at];
    counts[cluster]++;
    xs[cluster] += points.places[2 * at];
    ys[cluster] += points.places[2 * at + 1];
  }
  const places = [];
  counts.forEach((count, cluster) => {
    if (count) places.push({ cluster, name: points.names[cluster], count, x: xs[cluster] / count / 65535, y: ys[cluster] / count / 65535 });
  });
  return places.sort((a, b) => b.count - a.count);
}

function membersOf(points, cluster) {
  const members = [];
  for (let at = 0; at < points.n; at++) if (points.clusters[at] === cluster) members.push(at);
  return members;
}

// Places: GeoJSON records and WKT. Distances on the WGS 84 ellipsoid, everything else in the plane of longitude and latitude.

import { Failed } from './errors.mjs';
import { field, isNumber } from './values.mjs';

const SHAPES = { point: 'Point', linestring: 'LineString', polygon: 'Polygon' };

export const geoRecord = (type, coordinates) => new Map([['type', type], ['coordinates', coordinates]]);

/** { type, points }: the points of a polygon are those of its outer ring. */
export function shape(v, what) {
    const bad = () => { throw new Failed(`${what}: this is no GeoJSON or WKT point, line string or polygon`); };
    if (typeof v === 'string') {
        const m = /^\s*(POINT|LINESTRING|POLYGON)\s*(\(.*\))\s*$/i.exec(v) ?? bad();
        const points = m[2].replace(/[()]/g, '').split(',').map((p) => p.trim().split(/\s+/).map(Number));
        if (points.some((p) => p.length < 2 || p.some(Number.isNaN))) bad();
        return { type: SHAPES[m[1].toLowerCase()], points };
    }
    const type = field(v, 'type');
    let list = field(v, 'coordinates');
    if (!Object.values(SHAPES).includes(type) || !Array.isArray(list)) bad();
    if (type === 'Point') list = [list];
    if (type === 'Polygon' && Array.isArray(list[0]) && Array.isArray(list[0][0])) [list] = list;
    const points = list.map((p) => Array.isArray(p) && p.length >= 2 && p.every(isNumber) ? p.map(Number) : bad());
    return { type, points };
}

/** Vincenty's inverse formula. */
export function distance([lon1, lat1], [lon2, lat2]) {
    const a = 6378137, f = 1 / 298.257223563, b = a * (1 - f), rad = Math.PI / 180;
    const L = (lon2 - lon1) * rad;
    const U1 = Math.atan((1 - f) * Math.tan(lat1 * rad)), U2 = Math.atan((1 - f) * Math.tan(lat2 * rad));
    const sU1 = Math.sin(U1), cU1 = Math.cos(U1), sU2 = Math.sin(U2), cU2 = Math.cos(U2);
    let lambda = L, s, cosSq, cos2m, sigma, sinS, cosS;
    for (let i = 0; i < 1000; i++) {
        const sl = Math.sin(lambda), cl = Math.cos(lambda);
        sinS = Math.hypot(cU2 * sl, cU1 * sU2 - sU1 * cU2 * cl);
        if (sinS === 0) return 0;
        cosS = sU1 * sU2 + cU1 * cU2 * cl;
        sigma = Math.atan2(sinS, cosS);
        s = (cU1 * cU2 * sl) / sinS;
        cosSq = 1 - s * s;
        cos2m = cosSq === 0 ? 0 : cosS - (2 * sU1 * sU2) / cosSq;
        const C = (f / 16) * cosSq * (4 + f * (4 - 3 * cosSq));
        const before = lambda;
        lambda = L + (1 - C) * f * s * (sigma + C * sinS * (cos2m + C * cosS * (-1 + 2 * cos2m * cos2m)));
        if (Math.abs(lambda - before) < 1e-13) break;
    }
    const u = (cosSq * (a * a - b * b)) / (b * b);
    const A = 1 + (u / 16384) * (4096 + u * (-768 + u * (320 - 175 * u)));
    const B = (u / 1024) * (256 + u * (-128 + u * (74 - 47 * u)));
    const d = B * sinS * (cos2m + (B / 4) * (cosS * (-1 + 2 * cos2m ** 2) - (B / 6) * cos2m * (-3 + 4 * sinS ** 2) * (-3 + 4 * cos2m ** 2)));
    return b * A * (sigma - d);
}

const cross = (o, a, b) => (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
const edges = (s) => s.points.slice(1).map((p, i) => [s.points[i], p]);
const onEdge = (p, [a, b]) => cross(a, b, p) === 0 && Math.min(a[0], b[0]) <= p[0] && p[0] <= Math.max(a[0], b[0]) &&
    Math.min(a[1], b[1]) <= p[1] && p[1] <= Math.max(a[1], b[1]);

/** 1 inside, 0 on the border, -1 outside. */
function place(p, polygon) {
    let inside = false;
    for (const [a, b] of edges(polygon)) {
        if (onEdge(p, [a, b])) return 0;
        if ((a[1] > p[1]) !== (b[1] > p[1]) && p[0] < ((b[0] - a[0]) * (p[1] - a[1])) / (b[1] - a[1]) + a[0]) inside = !inside;
    }
    return inside ? 1 : -1;
}

function edgesCross([a, b], [c, d]) {
    const s = (o, p, q) => Math.sign(cross(o, p, q));
    return s(a, b, c) * s(a, b, d) < 0 && s(c, d, a) * s(c, d, b) < 0;
}

const edgesTouch = (e, g) => edgesCross(e, g) || onEdge(e[0], g) || onEdge(e[1], g) || onEdge(g[0], e) || onEdge(g[1], e);

export function within(a, b) {
    if (b.type !== 'Polygon') return a.type === 'Point' && b.points.some((p) => p[0] === a.points[0][0] && p[1] === a.points[0][1]);
    const places = a.points.map((p) => place(p, b));
    if (a.type === 'Point') return places[0] === 1;
    return places.every((x) => x >= 0) && !edges(a).some((e) => edges(b).some((g) => edgesCross(e, g)));
}

export function intersects(a, b) {
    if (a.type === 'Point' && b.type === 'Point') return a.points[0][0] === b.points[0][0] && a.points[0][1] === b.points[0][1];
    for (const [x, y] of [[a, b], [b, a]]) {
        if (y.type === 'Polygon' && x.points.some((p) => place(p, y) >= 0)) return true;
        if (x.type === 'Point') return edges(y).some((e) => onEdge(x.points[0], e));
    }
    return edges(a).some((e) => edges(b).some((g) => edgesTouch(e, g)));
}

/** They share area, and neither lies in the other. */
export function overlaps(a, b) {
    if (a.type !== 'Polygon' || b.type !== 'Polygon' || within(a, b) || within(b, a)) return false;
    return edges(a).some((e) => edges(b).some((g) => edgesCross(e, g))) || a.points.some((p) => place(p, b) === 1) || b.points.some((p) => place(p, a) === 1);
}

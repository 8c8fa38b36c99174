// Lesson: drag an object out of the scene. What it was worth, beside what each method said that it was worth.

import { formatValue } from '../../image/heat.ts';
import { ask } from '../ask.ts';
import { button, make, percent } from '../dom.ts';
import { examples } from '../examples.ts';
import { drawn } from '../maps.ts';
import { paint } from '../picture.ts';
import type { Subject } from '../work/subject.ts';
import { drawScene, fileOf, knownScenes, openScene, type Piece, type Scene } from './scene.ts';
import { attempt, explained, options, stage } from './stage.ts';

const METHODS = ['grad-cam', 'grad-cam++', 'score-cam', 'score-cam-softmax'];
/** Enlarged, so that each object can be taken hold of. */
const SIDE = 384;

let drawings = 0;

async function subjectOf(scene: Scene): Promise<Subject> {
  const file = await fileOf(drawScene(scene));
  return {
    picture: { id: `lesson ${drawings++}`, name: 'the scene', file },
    network: { id: scene.network },
  };
}

/** The share of a map's evidence that lies in an object's box. */
function shareIn({ x, y, width, height }: Piece, map: ReturnType<typeof drawn>['map'], side: number): number {
  const [sx, sy] = [map.width / side, map.height / side];
  let [inside, all] = [0, 0];
  map.data.forEach((value, i) => {
    const [column, row] = [i % map.width, Math.floor(i / map.width)];
    // The part of the cell that the box covers.
    const over = (from: number, size: number, cell: number) =>
      Math.max(0, Math.min(from + size, cell + 1) - Math.max(from, cell));
    all += value;
    inside += value * over(x * sx, width * sx, column) * over(y * sy, height * sy, row);
  });
  return all === 0 ? 0 : inside / all;
}

/** "the 3", "the pear". */
const theName = ({ name }: Piece) => `the ${name.replace(/^an? /, '')}`;

export const drag = () =>
  stage('drag', async (place) => {
    const FIRST = 'scene-2';
    let whole = await openScene(FIRST);
    let scene = whole;
    const canvas = make('canvas', { role: 'img', 'aria-label': 'the scene; its objects can be dragged' });
    const table = make('div', { class: 'claims', 'aria-live': 'polite' });
    const toggles = make('div', { class: 'row' });

    const paintScene = () => {
      paint(canvas, drawScene(scene));
      toggles.replaceChildren(
        ...scene.pieces.map((piece, i) =>
          button(
            { 'aria-pressed': String(!piece.isThere), 'data-object': piece.name },
            () => change(i, { isThere: !piece.isThere }),
            piece.isThere ? `Take out ${theName(piece)}` : `Put back ${theName(piece)}`,
          ),
        ),
        button(
          {},
          () => {
            scene = whole;
            void attempt(place, measure);
          },
          'As it was',
        ),
      );
    };
    const change = (i: number, to: Partial<Piece>) => {
      scene = { ...scene, pieces: scene.pieces.map((piece, j) => (i === j ? { ...piece, ...to } : piece)) };
      void attempt(place, measure);
    };

    /** For each object of the scene: its score, its score without it, and what the maps claim. */
    async function measure(): Promise<void> {
      const measured = scene;
      paintScene();
      const subject = await subjectOf(measured);
      const scores = (of: Subject) => ask('predict', { subject: of }, 'A lesson', 'lessons');
      const now = await scores(subject);
      const rows = [];
      for (const [i, piece] of measured.pieces.entries()) {
        if (!piece.isThere) continue;
        const { index: target } = now.classes.find(({ name }) => name === piece.name)!;
        const logit = ({ classes }: typeof now) => classes.find(({ index }) => index === target)!.logit;
        const claims = [];
        for (const method of METHODS) {
          const answer = await explained(subject, method, target);
          claims.push(shareIn(piece, drawn(answer.map, false).map, measured.background.width));
        }
        const without = await subjectOf({ ...measured, pieces: measured.pieces.filter((_, j) => i !== j) });
        rows.push({
          name: piece.name,
          logit: logit(now),
          worth: logit(now) - logit(await scores(without)),
          claims,
        });
        if (scene !== measured) return;
        table.replaceChildren(tableOf(rows));
      }
      if (rows.length === 0) table.replaceChildren();
    }

    let held: { readonly i: number; readonly dx: number; readonly dy: number } | undefined;
    const at = ({ clientX, clientY }: PointerEvent) => {
      const { left, top, width } = canvas.getBoundingClientRect();
      const zoom = scene.background.width / width;
      return [(clientX - left) * zoom, (clientY - top) * zoom] as const;
    };
    canvas.addEventListener('pointerdown', (event) => {
      const [x, y] = at(event);
      const i = scene.pieces.findIndex(
        (piece) =>
          piece.isThere &&
          x >= piece.x &&
          x < piece.x + piece.width &&
          y >= piece.y &&
          y < piece.y + piece.height,
      );
      if (i < 0) return;
      canvas.setPointerCapture(event.pointerId);
      held = { i, dx: x - scene.pieces[i]!.x, dy: y - scene.pieces[i]!.y };
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!held) return;
      const { i, dx, dy } = held;
      const [x, y] = at(event);
      scene = {
        ...scene,
        pieces: scene.pieces.map((piece, j) =>
          i === j ? { ...piece, x: Math.round(x - dx), y: Math.round(y - dy) } : piece,
        ),
      };
      paint(canvas, drawScene(scene));
    });
    canvas.addEventListener('pointerup', () => {
      if (!held) return;
      const { x, y, width, height } = scene.pieces[held.i]!;
      const { width: w, height: h } = scene.background;
      change(held.i, { isThere: x + width > 2 && y + height > 2 && x < w - 2 && y < h - 2 });
      held = undefined;
    });
    canvas.style.maxWidth = `${SIDE}px`;
    canvas.style.touchAction = 'none';
    const titles = Object.fromEntries(knownScenes.map((name) => [examples.get(name)!.title, name]));
    const chosen = options('Scene', Object.keys(titles), examples.get(FIRST)!.title, (title) =>
      attempt(place, async () => {
        whole = await openScene(titles[title]!);
        scene = whole;
        table.replaceChildren();
        await measure();
      }),
    );
    place.replaceChildren(chosen, make('div', { class: 'drag' }, make('div', {}, canvas, toggles), table));
    await measure();
  });

function tableOf(
  rows: readonly { name: string; logit: number; worth: number; claims: readonly number[] }[],
): HTMLElement {
  const head = [
    'object',
    'logit S',
    'worth: S − S without it',
    ...METHODS.map((method) => `in its box: ${method}`),
  ];
  return make(
    'table',
    {},
    make('thead', {}, make('tr', {}, ...head.map((name) => make('th', { scope: 'col' }, name)))),
    make(
      'tbody',
      {},
      ...rows.map(({ name, logit, worth, claims }) =>
        make(
          'tr',
          {},
          ...[name, formatValue(logit), formatValue(worth), ...claims.map(percent)].map((text) =>
            make('td', {}, text),
          ),
        ),
      ),
    ),
  );
}

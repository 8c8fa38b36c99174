// Lesson: drag an object out of the scene. What it was worth, beside what each method said that it was worth.

import { formatValue } from '../../image/heat.ts';
import { ask } from '../ask.ts';
import { button, make, percent } from '../dom.ts';
import { drawn } from '../maps.ts';
import { paint } from '../picture.ts';
import type { Subject } from '../work/subject.ts';
import { type Digit, drawScene, fileOf, openScene, type Scene } from './scene.ts';
import { attempt, explained, stage } from './stage.ts';

const METHODS = ['grad-cam', 'grad-cam++', 'score-cam', 'score-cam-softmax'];
/** Enlarged, so that each digit can be taken hold of. */
const ZOOM = 6;

let drawings = 0;

async function subjectOf(scene: Scene): Promise<Subject> {
  const file = await fileOf(drawScene(scene));
  return {
    picture: { id: `lesson ${drawings++}`, name: 'the scene', file },
    network: { id: 'digit-scenes' },
  };
}

/** The share of a map's evidence that lies in a digit's box. */
function shareIn({ x, y, width, height }: Digit, map: ReturnType<typeof drawn>['map'], side: number): number {
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

export const drag = () =>
  stage('drag', async (place) => {
    let scene = await openScene('scene-2');
    const whole = scene;
    const canvas = make('canvas', { role: 'img', 'aria-label': 'the scene; its digits can be dragged' });
    const table = make('div', { class: 'claims', 'aria-live': 'polite' });
    const toggles = make('div', { class: 'row' });

    const paintScene = () => {
      paint(canvas, drawScene(scene));
      toggles.replaceChildren(
        ...scene.digits.map((digit, i) =>
          button(
            { 'aria-pressed': String(!digit.isThere), 'data-digit': digit.name },
            () => change(i, { isThere: !digit.isThere }),
            digit.isThere ? `Take out the ${digit.name}` : `Put back the ${digit.name}`,
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
    const change = (i: number, to: Partial<Digit>) => {
      scene = { ...scene, digits: scene.digits.map((digit, j) => (i === j ? { ...digit, ...to } : digit)) };
      void attempt(place, measure);
    };

    /** For each digit of the scene: its score, its score with the digit out, and what the maps claim. */
    async function measure(): Promise<void> {
      const measured = scene;
      paintScene();
      const subject = await subjectOf(measured);
      const scores = (of: Subject) => ask('predict', { subject: of }, 'A lesson', 'lessons');
      const now = await scores(subject);
      const rows = [];
      for (const [i, digit] of measured.digits.entries()) {
        if (!digit.isThere) continue;
        const target = Number(digit.name);
        const logit = ({ classes }: typeof now) => classes.find(({ index }) => index === target)!.logit;
        const claims = [];
        for (const method of METHODS) {
          const answer = await explained(subject, method, target);
          claims.push(shareIn(digit, drawn(answer.map, false).map, measured.background.width));
        }
        const without = await subjectOf({ ...measured, digits: measured.digits.filter((_, j) => i !== j) });
        rows.push({
          name: digit.name,
          logit: logit(now),
          worth: logit(now) - logit(await scores(without)),
          claims,
        });
        if (scene !== measured) return;
      }
      table.replaceChildren(tableOf(rows));
    }

    let held: { readonly i: number; readonly dx: number; readonly dy: number } | undefined;
    const at = ({ clientX, clientY }: PointerEvent) => {
      const { left, top, width } = canvas.getBoundingClientRect();
      const zoom = scene.background.width / width;
      return [(clientX - left) * zoom, (clientY - top) * zoom] as const;
    };
    canvas.addEventListener('pointerdown', (event) => {
      const [x, y] = at(event);
      const i = scene.digits.findIndex(
        (digit) =>
          digit.isThere &&
          x >= digit.x &&
          x < digit.x + digit.width &&
          y >= digit.y &&
          y < digit.y + digit.height,
      );
      if (i < 0) return;
      canvas.setPointerCapture(event.pointerId);
      held = { i, dx: x - scene.digits[i]!.x, dy: y - scene.digits[i]!.y };
    });
    canvas.addEventListener('pointermove', (event) => {
      if (!held) return;
      const { i, dx, dy } = held;
      const [x, y] = at(event);
      scene = {
        ...scene,
        digits: scene.digits.map((digit, j) =>
          i === j ? { ...digit, x: Math.round(x - dx), y: Math.round(y - dy) } : digit,
        ),
      };
      paint(canvas, drawScene(scene));
    });
    canvas.addEventListener('pointerup', () => {
      if (!held) return;
      const { x, y, width, height } = scene.digits[held.i]!;
      const { width: w, height: h } = scene.background;
      change(held.i, { isThere: x + width > 2 && y + height > 2 && x < w - 2 && y < h - 2 });
      held = undefined;
    });
    canvas.style.maxWidth = `${ZOOM * scene.background.width}px`;
    canvas.style.touchAction = 'none';
    place.replaceChildren(make('div', { class: 'drag' }, make('div', {}, canvas, toggles), table));
    await measure();
  });

function tableOf(
  rows: readonly { name: string; logit: number; worth: number; claims: readonly number[] }[],
): HTMLElement {
  const head = [
    'digit',
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

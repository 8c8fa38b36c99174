// What can be taken away: pictures, maps as npy, numbers as JSON.

import { writeNpy } from '../../models/formats/npy.ts';
import { button, element } from './dom.ts';
import { save } from './save.ts';
import type { Choices } from './state.ts';
import type { Subject } from './work/subject.ts';
import type { Answer, Predicted } from './work/tasks.ts';

const nameOf = ({ method, className }: Answer) => `limelight.${method}.${className.replace(/[^\w-]+/g, '-')}`;

/** The canvases of the answers stand in their order, after the picture's. */
function savePictures(answers: readonly Answer[]): void {
  const canvases = [
    ...element('maps').querySelectorAll<HTMLCanvasElement>('figure:not(.picture, .empty) canvas'),
  ];
  answers.forEach((answer, i) => {
    canvases[i]!.toBlob((blob) => blob && save(`${nameOf(answer)}.png`, blob, 'image/png'));
  });
}

function saveMaps(answers: readonly Answer[]): void {
  for (const answer of answers)
    save(
      `${nameOf(answer)}.map.npy`,
      writeNpy(answer.map.shape, answer.map.data) as BlobPart,
      'application/octet-stream',
    );
}

function saveNumbers(
  { picture }: Subject,
  { name }: Predicted,
  answers: readonly Answer[],
  { of }: Choices,
): void {
  const said = answers.map(({ map, weights, title, ...rest }) => ({
    picture: picture.name,
    model: name,
    of,
    ...rest,
    map: { shape: map.shape, data: [...map.data] },
    weights: weights && [...weights],
  }));
  save('limelight.json', JSON.stringify(said, null, 1), 'application/json');
}

export function showExport(
  subject: Subject,
  predicted: Predicted,
  answers: readonly Answer[],
  choices: Choices,
): void {
  const share = button(
    {},
    () => {
      void navigator.clipboard.writeText(location.href);
      share.textContent = 'Link copied';
    },
    'Copy link',
  );
  element('export').replaceChildren(
    ...(answers.length > 0
      ? [
          button({}, () => savePictures(answers), 'Save pictures'),
          button({}, () => saveMaps(answers), 'Save maps (.npy)'),
          button({}, () => saveNumbers(subject, predicted, answers, choices), 'Save numbers (.json)'),
        ]
      : []),
    share,
  );
}

// The description of a network from a file, with whatever the file leaves open filled in.

import { numbered } from './catalog.ts';
import { dryRun } from './dry-run.ts';
import { FormatError } from './formats/errors.ts';
import type { ImportedNetwork } from './formats/imported.ts';
import type { NetworkDescription } from './network.ts';
import { presets } from './preprocess.ts';
import { coarsestLayer, defaultTargetLayer } from './target-layer.ts';

/**
 * The description of an imported network. Where the file does not say, inputs are pixel values / 255, classes are
 * numbered, and the last feature map is explained (the output where there is none, which no method takes).
 *
 * @throws {FormatError} if it has other inputs than the picture.
 */
export function describeImported(name: string, imported: ImportedNetwork): NetworkDescription {
  const {
    graph,
    inputShape,
    otherInputs,
    anySize,
    classCount,
    probabilities,
    preprocessing,
    detection,
    segmentation,
    remark,
  } = imported;
  const [, channels, height, width] = inputShape as [number, number, number, number];
  if (otherInputs.size > 0) {
    const listed = [...otherInputs].map(([input, shape]) => `"${input}" [${shape.join(', ')}]`);
    throw new FormatError(`${name} takes more than a picture: ${listed.join(', ')} besides`);
  }
  const dry = dryRun(graph, inputShape);
  return {
    name,
    summary: remark === undefined ? 'from a file' : `from a file; ${remark}`,
    graph,
    preprocessing: {
      channels,
      ...presets.unit,
      ...(!anySize && { size: [height, width] as const }),
      ...(height === 1 && { signal: true }),
      ...preprocessing,
    },
    classes: imported.classes ?? numbered(classCount),
    probabilities,
    ...(detection && { detection }),
    ...(segmentation && { segmentation }),
    targetLayer:
      (segmentation ? coarsestLayer(dry, segmentation.scores) : defaultTargetLayer(dry)) ?? graph.output,
  };
}

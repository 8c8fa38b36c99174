// The camera as a picture: a frame is taken when the one before has been explained, so that maps follow at whatever rate the
// device gives, and what comes meanwhile is dropped.

import { messageOf } from '../../engine/platform/errors.ts';
import { element, make } from './dom.ts';
import type { PictureFile } from './work/subject.ts';

/** The shorter side of a frame: networks that take any size need not take a camera's. */
const SIDE = 240;
let frames = 0;

async function frameOf(video: HTMLVideoElement): Promise<PictureFile> {
  const scale = SIDE / Math.min(video.videoWidth, video.videoHeight);
  const canvas = new OffscreenCanvas(
    Math.round(scale * video.videoWidth),
    Math.round(scale * video.videoHeight),
  );
  canvas.getContext('2d')!.drawImage(video, 0, 0, canvas.width, canvas.height);
  return { id: `camera ${frames++}`, name: 'the camera', file: await canvas.convertToBlob() };
}

/** Lets the camera be switched on and off; `show` explains a frame, and is done when that is done. */
export function listenToCamera(show: (frame: PictureFile) => Promise<void>): void {
  const button = element<HTMLButtonElement>('camera');
  let stop: (() => void) | undefined;

  async function follow(stream: MediaStream): Promise<void> {
    const video = make('video', { muted: true, playsinline: true });
    let isOn = true;
    stop = () => {
      isOn = false;
      stop = undefined;
      for (const track of stream.getTracks()) track.stop();
      button.textContent = 'Camera';
      button.ariaPressed = 'false';
    };
    for (const track of stream.getTracks()) track.addEventListener('ended', () => stop?.());
    button.textContent = 'Stop the camera';
    button.ariaPressed = 'true';
    video.srcObject = stream;
    await video.play();
    while (isOn) {
      const frame = await frameOf(video);
      if (isOn) await show(frame);
    }
  }

  button.hidden = !navigator.mediaDevices;
  button.addEventListener('click', () => {
    if (stop) return stop();
    navigator.mediaDevices
      .getUserMedia({ video: true })
      .then(follow)
      .catch((error: unknown) => {
        stop?.();
        element('camera-says').textContent = `The camera gives no picture: ${messageOf(error)}`;
      });
  });
  // Whatever other picture is chosen ends it.
  element('examples').addEventListener('click', () => stop?.());
  element('file').addEventListener('change', () => stop?.());
  document.addEventListener('drop', () => stop?.());
}

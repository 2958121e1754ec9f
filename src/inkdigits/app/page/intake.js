// Pictures from outside: chosen, taken with a camera, pasted, or dropped anywhere on the page.

/** take(file): what happens with one; over(there): whether one is being dragged over the page. */
export function listenForPictures({ inputs, take, over }) {
  for (const input of inputs) {
    input.addEventListener("change", () => {
      if (input.files.length) take(input.files[0]);
      input.value = ""; // so that the same file can be chosen again
    });
  }
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (!file) return;
    event.preventDefault();
    take(file);
  });

  let depth = 0; // of elements entered: each of them says when something is dragged over it
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const enter = (by) => (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = Math.max(0, depth + by);
    over(depth > 0);
  };
  addEventListener("dragenter", enter(1));
  addEventListener("dragleave", enter(-1));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    over(false);
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
}

/** Shows a picture in `image`, upright. True unless this browser cannot. */
export async function showPicture(image, file) {
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  return image.decode().then(() => true, () => false);
}

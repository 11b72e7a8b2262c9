// docs/start.js: runs in the page of a contract, behind Swagger UI in the same file: shows the contract that the page has in it.
//
// Promises: asks no other server; keeps no key; follows the reader's light or dark setting.
const dark = globalThis.matchMedia('(prefers-color-scheme: dark)');
const followTheme = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
followTheme();
dark.addEventListener('change', followTheme);

globalThis.SwaggerUIBundle({
  spec: JSON.parse(document.querySelector('#contract').textContent),
  domNode: document.querySelector('#docs'),
  deepLinking: true,
  docExpansion: 'list',
  defaultModelExpandDepth: 2,
  defaultModelsExpandDepth: 0,
  displayOperationId: true,
  displayRequestDuration: true,
  showExtensions: true,
  validatorUrl: null,
});

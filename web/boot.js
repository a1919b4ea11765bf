// Starts the page. Its parts are asked for one by one, and a limit or a restart of the service may
// refuse one; then the page says so and tries again by itself. What has arrived is kept meanwhile.
import('./main.js').catch(() => {
  const wait = 10;
  const main = document.getElementById('main');
  main.textContent = `Part of this page did not arrive. It is loaded again in ${wait} seconds.`;
  main.classList.add('pad');
  setTimeout(() => location.reload(), wait * 1000);
});

/** The user's input is wrong: say what, without a stack of calls. */
export function stop(problem: string): never {
  console.error(`error: ${problem}`);
  process.exit(2);
}

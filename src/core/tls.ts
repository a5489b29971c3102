/** Warns where TLS options let anybody pass for the server: made for a trial, they are easily left so. */
export function warnOfUnverifiedTls(options: unknown, name: string): void {
  if (typeof options !== 'object' || options === null) return
  if ((options as { readonly rejectUnauthorized?: unknown }).rejectUnauthorized !== false) return
  const text = `${name}.rejectUnauthorized is false: whoever is in between can pass for the broker; give its ca instead.`
  process.emitWarning(text, { type: 'RespondAsyncWarning' })
}

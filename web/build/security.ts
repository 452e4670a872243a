/** What browsers let the page do: nothing leaves its origin. */

const RULES = {
  "default-src": "'self'",
  "script-src": "'self' 'wasm-unsafe-eval'", // LiteRT.js is WebAssembly
  "style-src": "'self'",
  "connect-src": "'self'",
  "img-src": "'self' blob:", // pictures and videos that the user opens are blob addresses of this page
  "media-src": "'self' blob:",
  "object-src": "'none'",
  "base-uri": "'none'",
  "form-action": "'none'",
};

/** The policy for <meta>, where frame-ancestors is not allowed. */
export const POLICY = Object.entries(RULES).map((rule) => rule.join(" ")).join("; ");

/** Headers of every answer; the cross-origin ones let wasm threads share memory. */
export const HEADERS = {
  "Content-Security-Policy": `${POLICY}; frame-ancestors 'none'`,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/** Numbers for people. */

const COUNTS = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'];

/** `1,234,567`: a count, exactly. */
export const count = (value: number): string => COUNTS.format(value);

/** Three digits and a prefix: `1.23 M`, `45.6 k`, `789 `. */
function scaled(value: number): string {
  let scale = 0;
  let rest = value;
  // 999.5 k is 1.00 M, not 1000 k.
  while (Math.abs(rest) >= 999.5 && scale < PREFIXES.length - 1) {
    rest /= 1000;
    scale++;
  }
  const isWhole = scale === 0 && (Number.isInteger(rest) || Math.abs(rest) >= 100);
  const digits = isWhole || rest === 0 ? 0 : Math.abs(rest) < 9.995 ? 2 : Math.abs(rest) < 99.95 ? 1 : 0;
  return `${rest.toFixed(digits)} ${PREFIXES[scale]}`;
}

/** With its unit: `1.23 Mpps`. */
export const si = (value: number, unit: string): string => `${scaled(value)}${unit}`;
/** Packets per second. */
export const pps = (value: number): string => si(value, 'pps');
/** Bytes per second, as bits per second. */
export const bits = (bytesPerSecond: number): string => si(bytesPerSecond * 8, 'bit/s');
/** Without a unit, as short as possible, for axes: `1.2M`. */
export function short(value: number): string {
  return scaled(value)
    .replace(/(\.\d*?)0+(?= )/, '$1')
    .replace(/\.(?= )/, '')
    .replace(' ', '');
}
/** A share of 1 as percent. */
export const percent = (share: number): string =>
  `${(share * 100).toFixed(share >= 0.0005 && share < 0.0995 ? 1 : 0)} %`;

/** A time as `12 s`, `3 min 5 s`, `2 h 7 min`, `4 d 3 h`. */
export function timeText(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (large: number, unit: string, small: number, smaller: string): string =>
    small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smaller}`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return two(Math.floor(whole / 60), 'min', whole % 60, 's');
  if (whole < 86_400) return two(Math.floor(whole / 3600), 'h', Math.floor(whole / 60) % 60, 'min');
  return two(Math.floor(whole / 86_400), 'd', Math.floor(whole / 3600) % 24, 'h');
}

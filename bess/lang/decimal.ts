/**
 * Floats in decimal: `%f`, `%e`, `%g` (as C's printf, which Python follows).
 *
 * JavaScript's toFixed rounds a tie up, where C rounds it to even; so the digits come from toExponential, exact to 101
 * places, and are rounded here.
 */

/** Digits of toExponential that are asked for; what a float has beyond them no format shows. */
const EXACT_DIGITS = 100;

/** The decimal digits of |value|: 0.DDD… x 10^exponent. */
interface Decimal {
  readonly digits: string;
  readonly exponent: number;
}

/** The absolute value with `precision` digits after the point. */
export function fixed(value: number, precision: number): string {
  const decimal = exactly(value);
  // As a whole number of units of the last place.
  const units = roundTo(decimal, decimal.exponent + precision).padStart(precision + 1, '0');
  const point = units.length - precision;
  return precision === 0 ? units : `${units.slice(0, point)}.${units.slice(point)}`;
}

/** The absolute value as `d.ddde+XX`, with `precision` digits after the point. */
export function scientific(value: number, precision: number): string {
  const decimal = exactly(value);
  let digits = roundTo(decimal, precision + 1).padEnd(precision + 1, '0');
  let power = decimal.exponent - 1;
  if (digits.length > precision + 1) {
    // 9.99 has become 10.0.
    digits = digits.slice(0, -1);
    power++;
  }
  const mantissa = precision === 0 ? digits : `${digits[0]}.${digits.slice(1)}`;
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/**
 * The absolute value with `precision` significant digits, and an exponent when there are more places before the point
 * than digits (`earlier` places before that), or four zeros after it.
 */
export function general(value: number, precision: number, earlier = 0): string {
  const significant = Math.max(1, precision);
  const text = scientific(value, significant - 1);
  const at = text.indexOf('e');
  const power = Number(text.slice(at + 1));
  const strip = (number: string): string => (number.includes('.') ? number.replace(/\.?0+$/, '') : number);
  if (power < -4 || power >= significant - earlier) return strip(text.slice(0, at)) + text.slice(at);
  return strip(fixed(value, significant - 1 - power));
}

function exactly(value: number): Decimal {
  if (value === 0) return { digits: '0', exponent: 1 };
  const [mantissa = '', exponent = ''] = Math.abs(value).toExponential(EXACT_DIGITS).split('e');
  return { digits: mantissa.replace('.', ''), exponent: Number(exponent) + 1 };
}

/** The first `count` digits as a number of its own, rounded half to even; zeros are added where there are fewer. */
function roundTo({ digits }: Decimal, count: number): string {
  if (count < 0) return '0';
  if (count >= digits.length) return digits.padEnd(count, '0');
  const kept = BigInt(digits.slice(0, count) || '0');
  const rest = digits.slice(count);
  const up = /^50*$/.test(rest) ? kept % 2n === 1n : rest >= '5';
  return String(up ? kept + 1n : kept);
}

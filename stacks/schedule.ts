/** Times at which something runs by a cron schedule of five fields (`isCron`), read as UTC. */

const minutesADay = 1440;
const millisecondsADay = minutesADay * 60_000;

/** Days that are looked at for the longest pause: two leap years among them, and every weekday of each month. */
const lookedAt = { from: Date.UTC(2024, 0, 1), days: 9 * 365 + 3 } as const;

/** What a field asks for, and whether it asks for anything at all. */
interface Field {
  readonly has: (value: number) => boolean;
  readonly isAny: boolean;
}

function fieldOf(text: string, low: number, high: number): Field {
  const items = text.split(",").map((item) => {
    const [range = "", step = "1"] = item.split("/");
    const [first = "", last] = range.split("-");
    const from = first === "*" ? low : Number(first);
    const to = last !== undefined ? Number(last) : first === "*" || item.includes("/") ? high : from;
    return (value: number): boolean => value >= from && value <= to && (value - from) % Number(step) === 0;
  });
  return { has: (value) => items.some((item) => item(value)), isAny: text.startsWith("*") };
}

/**
 * The longest time from one run of a schedule to the next.
 *
 * @param schedule five fields of numbers, ranges, lists and steps, as `isCron` accepts them
 * @returns hours, parts of one included; Infinity for a date that never comes, such as 30 February
 */
export function longestPauseHours(schedule: string): number {
  const [minute = "*", hour = "*", date = "*", month = "*", weekday = "*"] = schedule.split(" ");
  const [minutes, hours] = [fieldOf(minute, 0, 59), fieldOf(hour, 0, 23)];
  const times = Array.from({ length: minutesADay }, (_, at) => at).filter(
    (at) => minutes.has(at % 60) && hours.has(Math.floor(at / 60)),
  );
  const runsOn = dayTest(fieldOf(date, 1, 31), fieldOf(month, 1, 12), fieldOf(weekday, 0, 7));
  let [longest, last] = [0, Number.NaN];
  for (let day = 0; day < lookedAt.days; day += 1) {
    if (!runsOn(new Date(lookedAt.from + day * millisecondsADay))) continue;
    for (const time of times) {
      const now = day * minutesADay + time;
      if (now - last > longest) longest = now - last;
      last = now;
    }
  }
  return longest === 0 ? Infinity : longest / 60;
}

/** Where both a date and a weekday are asked for, either is enough, as cron has it. */
function dayTest(date: Field, month: Field, weekday: Field): (day: Date) => boolean {
  return (day) => {
    const onDate = date.has(day.getUTCDate());
    const onWeekday = weekday.has(day.getUTCDay()) || (day.getUTCDay() === 0 && weekday.has(7));
    const either = !date.isAny && !weekday.isAny;
    return month.has(day.getUTCMonth() + 1) && (either ? onDate || onWeekday : onDate && onWeekday);
  };
}

/**
 * Common name of one generation of an authority. Each has a name of its own, so that whoever trusts two of them finds the
 * right one, and a certificate tells by its issuer's name which one signed it.
 * @param stem what all generations have in common
 */
export function authorityName(stem: string, generation: number): string {
  return `${stem} ${generation}`;
}

/** The generation that a common name ends with; undefined where it names none. */
export function authorityNumber(name: string): number | undefined {
  const [, number] = / ([1-9]\d{0,8})$/.exec(name) ?? [];
  return number === undefined ? undefined : Number(number);
}

/** What the issuer of a generation, and its key, are called in Vault. */
export function issuerName(generation: number): string {
  return `g${generation}`;
}

/** The generation that such a name stands for; undefined for another one. */
export function issuerGeneration(name: string): number | undefined {
  const [, number] = /^g([1-9]\d{0,8})$/.exec(name) ?? [];
  return number === undefined ? undefined : Number(number);
}

/** Seconds that the root of a generation is valid from before it is made, for clocks that are late. */
export const backdatedSeconds = 30;

/** The parameters of a generation's root in Vault; texts, as a policy compares them with texts. */
export type RootParameters = Readonly<
  Record<
    | "common_name"
    | "exclude_cn_from_sans"
    | "issuer_name"
    | "key_bits"
    | "key_name"
    | "key_type"
    | "max_path_length"
    | "not_before_duration"
    | "ttl",
    string
  >
>;

/**
 * The root of a generation. Vault's policy of the rotator allows these parameters and no others.
 * @param stem what the common names of all generations begin with
 * @param days its life
 */
export function rootParameters(stem: string, generation: number, days: number): RootParameters {
  return {
    common_name: authorityName(stem, generation),
    exclude_cn_from_sans: "true",
    issuer_name: issuerName(generation),
    key_bits: "256",
    key_name: issuerName(generation),
    key_type: "ec",
    max_path_length: "1",
    not_before_duration: `${backdatedSeconds}s`,
    ttl: `${days * 24}h`,
  };
}

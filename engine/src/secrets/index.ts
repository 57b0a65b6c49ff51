export { newCrypter, openCrypter, SecretsError, type Crypter } from "./passphrase.ts";

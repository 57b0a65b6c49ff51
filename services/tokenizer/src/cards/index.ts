export { CvvSlots, slotLife } from "./slots.ts";
export { CardStore, type CardStoreParts } from "./store.ts";
export { Sweeper } from "./sweeper.ts";
export { type BatchOptions, BatchWriter, WriterOverloaded } from "./writer.ts";

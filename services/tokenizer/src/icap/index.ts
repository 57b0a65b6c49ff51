export { type Destination, destinationOf, Destinations } from "./destinations.ts";
export { FrameReader, IcapEnded, IcapError } from "./frame.ts";
export {
  encapsulate,
  formatHead,
  type HttpHead,
  icapHead,
  parseEncapsulated,
  parseHead,
  parseIcapHead,
} from "./message.ts";
export { icapOperations, IcapPlane, type IcapPlaneOptions, type IcapPlaneParts, isTagOf } from "./plane.ts";

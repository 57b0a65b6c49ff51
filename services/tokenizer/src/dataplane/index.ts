export { DataPlane, type DataPlaneParts, type DataPlanePorts, type DataPlaneSettings } from "./dataplane.ts";

import { RecorderCloud } from "./cloud.ts";
import { serveRecorder } from "./serve.ts";

const folder = process.env["RECORDER_FOLDER"];
if (folder === undefined) throw new Error("RECORDER_FOLDER must name the folder of the recording");
const served = await serveRecorder(new RecorderCloud(folder));
process.stdout.write(`${served.port}\n`);
// The engine's end closes the pipe; without this a killed engine would leave the plugin behind.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));

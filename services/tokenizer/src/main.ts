import { destination } from "pino";
import { Service } from "./service/index.ts";
import { readSettings, type Settings, SettingsError } from "./settings/index.ts";
import { errorFields, makeLog } from "./telemetry/index.ts";

/** Exit statuses: 2 the settings are wrong, 1 the start or the stop failed, 0 stopped in order. */
function settingsOrExit(): Settings {
  try {
    return readSettings(process.env);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
}

const settings = settingsOrExit();
const log = makeLog(settings.LOG_LEVEL, destination({ fd: 1, sync: true }));

async function main(): Promise<void> {
  const service = await Service.start(settings, log);
  log.info({ ports: service.ports, version: settings.BUILD_VERSION }, "ready");
  const stop = (signal: NodeJS.Signals): void => {
    service.stop().then(
      () => {
        log.info({ signal }, "stopped");
        process.exit(0);
      },
      (error: unknown) => {
        log.error({ signal, err: errorFields(error) }, "stopped with work left");
        process.exit(1);
      },
    );
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

main().catch((error: unknown) => {
  log.fatal({ err: errorFields(error) }, "the service does not start");
  process.exit(1);
});

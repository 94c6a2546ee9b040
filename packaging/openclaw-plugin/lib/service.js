/** The one service of a gateway process: it takes akkd's reports for as long as the gateway runs. */

import { deliveryService } from "./deliveries.js";
import { gatewayId, processId } from "./origin.js";
import { socketPath } from "./socket.js";

const RUNNING = Symbol.for("agent-knock-knock.service");

/**
 * Registers the service. OpenClaw starts and stops it; whatever was started before in this process, by a registration
 * that a reload left behind, is stopped first, so that two never take the same report.
 * @param {object} api the plugin's api
 */
export function registerService(api) {
  api.registerService({
    id: "agent-knock-knock",
    async start(ctx) {
      await stopRunning();
      const service = deliveryService({
        api,
        socketPath: socketPath(api.pluginConfig),
        gateway: gatewayId(api),
        process: processId(),
        logger: ctx?.logger ?? api.logger,
      });
      globalThis[RUNNING] = { service, of: api };
      await service.start();
    },
    async stop() {
      // Only its own: a successor may run already.
      if (globalThis[RUNNING]?.of === api) await stopRunning();
    },
  });
}

async function stopRunning() {
  const running = globalThis[RUNNING];
  globalThis[RUNNING] = undefined;
  await running?.service.stop();
}

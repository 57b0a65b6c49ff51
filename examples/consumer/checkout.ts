import { defineConsumer } from "@tokenshield/contract";

/** What the shop's checkout reads of the platform. The platform's tests read this too, and name it where it would break. */
export const checkout = defineConsumer({
  name: "tokenshield-consumer",
  outputs: ["environment"],
  tenant: ["provisioned", "egressAddress", "egressCaBundle"],
});

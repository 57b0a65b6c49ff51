/** Series that one target may have. More are a fault, and would take the memory of all others. */
export const sampleLimit = 5000;

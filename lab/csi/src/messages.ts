/** The messages of `proto/csi.proto` and `proto/registration.proto` as they arrive: defaults filled in, camel case. */

export interface VolumeCapability {
  readonly block?: object | null;
  readonly mount?: {
    readonly fsType: string;
    readonly mountFlags: readonly string[];
    /** The pod's `fsGroup` in decimal, as this driver has the capability VOLUME_MOUNT_GROUP. */
    readonly volumeMountGroup: string;
  } | null;
}

export interface NodePublishVolumeRequest {
  readonly volumeId: string;
  readonly targetPath: string;
  readonly volumeCapability: VolumeCapability | null;
  readonly readonly: boolean;
  readonly secrets: Readonly<Record<string, string>>;
  readonly volumeContext: Readonly<Record<string, string>>;
}

export interface NodeUnpublishVolumeRequest {
  readonly volumeId: string;
  readonly targetPath: string;
}

/** A message without a field. */
export type Empty = Readonly<Record<string, never>>;

export interface PluginInfo {
  readonly type: string;
  readonly name: string;
  readonly endpoint: string;
  readonly supportedVersions: readonly string[];
}

export interface RegistrationStatus {
  readonly pluginRegistered: boolean;
  readonly error: string;
}

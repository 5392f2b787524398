using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Checkpoints.Store;

internal static class StoreOpening
{
    /// <summary>Null: there is none.</summary>
    /// <exception cref="BadInputException">It is not named as stores are, or there are no keys for it.</exception>
    public static StoredCheckpoints? Open(CheckpointStore? store, TimeProvider clock) => store is null ? null
        : new StoredCheckpoints(new ObjectStore(store, StoreKeys.Find(store.Uri, Environment.GetEnvironmentVariable), clock));
}

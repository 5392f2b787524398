using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Checkpoints.Store;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>The second place of checkpoints: a store, behind the folder that saves are made in.</summary>
public sealed partial class StageLoop
{
    /// <summary>
    /// The next stage may begin on a node that sees the store alone. Ours: a store that is away for longer keeps no stage from ending.
    /// </summary>
    private static readonly TimeSpan StoreLastMost = TimeSpan.FromMinutes(10);

    /// <summary>Ours: of the 20 s that a rank that is told to end has for its save.</summary>
    private static readonly TimeSpan StoreStopMost = TimeSpan.FromSeconds(5);

    private StoreCopies Copies(StoredCheckpoints store)
    {
        var retention = _rank.Rank > 0 ? null
            : new StoreRetention(store, _folder, _bounds, _plan.Checkpoints.Keep, _link, _clock, () => Volatile.Read(ref _startedFrom));
        var copies = new StoreCopies(store, _folder, retention, _link, _clock);
        _saver.Written = copies.Written;
        return copies;
    }

    /// <summary>What this stage begins from and does not lie here comes first; then all ranks look.</summary>
    private void BringBeginnings()
    {
        if (_copies is null)
        {
            return;
        }
        if (_mesh.World.Own == 0)
        {
            foreach (var from in StageWorks.Beginnings(_plan))
            {
                _folder.BringBeginning(from);
            }
        }
        _mesh.World.Barrier();
    }

    private void FinishCopies(TimeSpan most, bool whileAway)
    {
        if (_copies?.Finish(most, whileAway,
            () => _link.Progress(RankState.Saving, "copying to the store", _position.Step)) == false && _rank.Rank == 0)
        {
            _link.Note($"The checkpoint of step {_savedStep} is in {_folder.Folder} and not yet in the store; the next launch there "
                + "sends it.");
        }
    }
}

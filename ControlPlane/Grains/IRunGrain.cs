using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Orleans.Concurrency;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>A run. The key is its name.</summary>
public interface IRunGrain : IGrainWithStringKey
{
    /// <summary>Begins the run; the same pipeline again is the same run.</summary>
    Task<SubmitResult> Submit(RunSubmission submission, CancellationToken cancellation = default);

    Task<CommandResult> Pause(string reason, CancellationToken cancellation = default);

    Task<CommandResult> Resume(string reason, CancellationToken cancellation = default);

    Task<CommandResult> Cancel(string reason, CancellationToken cancellation = default);

    /// <summary>Goes on from a stage; what came later in the run is done again.</summary>
    /// <param name="stage">Empty: the stage that failed, or whose turn it is.</param>
    /// <param name="checkpointStep">Null: the stage's newest good checkpoint; 0: the stage from its beginning.</param>
    Task<CommandResult> Retry(string stage, long? checkpointStep, CancellationToken cancellation = default);

    /// <summary>A person's hand on its automation, or what they took back.</summary>
    Task<CommandResult> Hand(HandVerb verb, HandAsked asked, CancellationToken cancellation = default);

    /// <summary>
    /// Takes over a run that has ended elsewhere, before its stages, and asked again after them records it as it is with them.
    /// </summary>
    /// <returns>Whether it is this run; false: another one has the name.</returns>
    Task<bool> Import(Run ended, CancellationToken cancellation = default);

    /// <summary>The run now, from memory. Null: there is none under this name.</summary>
    [AlwaysInterleave]
    Task<RunView?> Describe();

    /// <summary>As a list shows it: without what is as large as the pipeline or the gang.</summary>
    [AlwaysInterleave]
    Task<RunView?> Summary();

    /// <summary>The run in numbers, as its stages last told. Null: there is none under this name.</summary>
    [AlwaysInterleave]
    Task<RunMeasures?> Measures();

    /// <summary>What was submitted, for a clone with changes. Null: there is no such run.</summary>
    [AlwaysInterleave]
    Task<RunSubmission?> Submission();

    /// <summary>Tells the observer when the run changes, at most twice a second. Subscribe again within 5 minutes to stay.</summary>
    [AlwaysInterleave]
    Task Subscribe(IRunObserver observer);

    [AlwaysInterleave]
    Task Unsubscribe(IRunObserver observer);

    /// <summary>News cannot wait for the timer: decide now.</summary>
    [OneWay]
    Task Tick();

    /// <summary>A stage's news. Memory only; a change of its phase makes the run decide at once.</summary>
    [OneWay, AlwaysInterleave]
    Task StageSeen(StageReport report);
}

/// <summary>Somebody who looks at a run.</summary>
public interface IRunObserver : IGrainObserver
{
    [OneWay]
    Task Changed(RunView run);
}

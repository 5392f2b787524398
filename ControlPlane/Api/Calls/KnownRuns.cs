using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Runs;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>Which run a request is about. One that is not there is answered with the names that are near.</summary>
internal sealed class KnownRuns(IGrainFactory grains, RunLists runs)
{
    private const int NearNames = 3;

    /// <summary>Newest first: who mistypes a name means one that he saw lately.</summary>
    private const int NamesCompared = 1_000;

    /// <summary>
    /// What is no name may still be the name of a run, from a version that took it for one: that run can be seen and ended too.
    /// </summary>
    public async Task<string> Named(string name, string field)
    {
        try
        {
            return Checked.Name(name, field);
        }
        catch (RpcException) when (Checked.CouldBeKept(name))
        {
            return await grains.GetGrain<IRunGrain>(name).Describe() is not null ? name : Checked.Name(name, field);
        }
    }

    public async Task<RunView> Described(string name, CancellationToken cancellation) =>
        await grains.GetGrain<IRunGrain>(name).Describe() ?? throw await NoSuchRun(name, cancellation);

    public async Task<RpcException> NoSuchRun(string name, CancellationToken cancellation)
    {
        var near = Nearest.To(name, await runs.Names(NamesCompared, cancellation)).Take(NearNames).ToArray();
        string hint = near.Length > 0 ? $" Did you mean {string.Join(" or ", near)}?" : " `dsops runs` lists those there are.";
        return new RpcException(new Status(StatusCode.NotFound, $"There is no run named {name}.{hint}"));
    }

    public async Task<string> Existing(string run, CancellationToken cancellation)
    {
        await Described(await Named(run, "run"), cancellation);
        return run;
    }

    public async Task ExistingStage(string name, string? stage, CancellationToken cancellation)
    {
        var run = await Described(name, cancellation);
        if (stage is not null && !run.Stages.Any(known => known.Name == stage))
        {
            throw new RpcException(new Status(
                StatusCode.NotFound, $"{run.Name} has no stage '{stage}'. Its stages are: "
                    + $"{string.Join(", ", run.Stages.Select(known => known.Name))}."));
        }
    }
}

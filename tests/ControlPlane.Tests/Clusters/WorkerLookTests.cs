using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using DeepSeekOps.Decisions.Doctor;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters;

/// <summary>What is read of the lines that `dsops-worker examine` told, as far as it came. Costs nothing: no process is started.</summary>
public sealed class WorkerLookTests
{
    private const string Who = """{"version":"0.1.0+abc","protocol":1}""";
    private const string Chosen = """{"libtorch":{"folder":"/lib","version":"2.4.1","cuda":true}}""";
    private const string Loaded = """{"libtorch":{"folder":"/lib","version":"2.10.0","cuda":true,"trouble":""}}""";
    private const string Found = """{"gpus":[{"name":"NVIDIA H200","bytes":150000000000}],"nccl":22809,"ncclOldest":21800}""";

    [Fact]
    public void A_worker_that_answers_to_all_is_read_whole()
    {
        var (seen, store) = WorkerLook.Read(
            new WorkerFacts(), [Who, """{"store":{"trouble":"away","fix":"Look."}}""", "hello", Chosen, Loaded, Found]);
        Assert.Equal(("0.1.0+abc", 1, "/lib", "2.10.0", ""),
            (seen.Version, seen.Protocol, seen.LibtorchFolder, seen.LibtorchVersion, seen.LibtorchTrouble));
        Assert.Equal((22_809, 21_800, new GpuFacts("NVIDIA H200", 150_000_000_000)),
            (seen.Nccl, seen.NcclOldest, seen.Gpus!.Value.Single()));
        Assert.Equal(("away", "Look."), store);
    }

    [Fact]
    public void One_that_ended_while_it_loaded_keeps_what_it_had_told_before()
    {
        var (seen, store) = WorkerLook.Read(new WorkerFacts { Ended = "it was ended by signal 6" }, [Who, Chosen]);
        Assert.Equal(("0.1.0+abc", "2.4.1", null, null), (seen.Version, seen.LibtorchVersion, seen.LibtorchTrouble, seen.Gpus));
        Assert.Null(store);
    }

    [Fact]
    public void Lines_of_another_version_are_passed_over()
    {
        var (seen, _) = WorkerLook.Read(
            new WorkerFacts(), ["{", """{"version":5}""", """{"gpus":3}""", """{"libtorch":[]}""", "Usage: dsops-worker"]);
        Assert.Equal((null, null, null), (seen.Version, seen.Gpus, seen.LibtorchTrouble));
    }
}

// Each test starts a whole system on two cores: one at a time.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]
[assembly: Xunit.AssemblyFixture(typeof(DeepSeekOps.EndToEnd.Tests.Shared))]

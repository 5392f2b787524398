namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>Ways to start it that few tests need.</summary>
internal sealed partial class Dsops
{
    private string[] environment = [];

    /// <summary>`dsops dev` with these in its environment, each NAME=value.</summary>
    public static Task<Dsops> StartIn(string[] environment, params string[] devArguments) =>
        Start("dev", devArguments, environment: environment);
}

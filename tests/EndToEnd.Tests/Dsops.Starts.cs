namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>Ways to start it that few tests need.</summary>
internal sealed partial class Dsops
{
    private string[] environment = [];

    /// <summary>`dsops dev` with these in its environment, each NAME=value.</summary>
    public static Task<Dsops> StartIn(string[] environment, params string[] devArguments) =>
        Start("dev", devArguments, environment: environment);

    /// <summary>`dsops dev` behind other words than its own.</summary>
    /// <param name="launcher">The words that start it, given the folder that its data directory is made in.</param>
    public static Task<Dsops> DevBy(Func<string, string[]> launcher, params string[] words) => Start("dev", words, launcher: launcher);
}

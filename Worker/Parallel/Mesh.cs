namespace DeepSeekOps.Worker.Parallel;

/// <summary>The groups that a rank belongs to.</summary>
/// <param name="World">All ranks of the gang: they agree on what is saved, and when they end.</param>
/// <param name="Data">Those that hold the same weights as this one and take other rows of the batch.</param>
/// <param name="Model">Those that hold the other parts of the same model.</param>
public sealed record Mesh(Calls Calls, IProcessGroup World, IProcessGroup Data, IProcessGroup Model)
{
    /// <summary>Of a gang of one.</summary>
    public static Mesh Alone()
    {
        var calls = new Calls();
        var group = new Alone(calls);
        return new Mesh(calls, group, group, group);
    }
}

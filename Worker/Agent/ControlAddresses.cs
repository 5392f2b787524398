namespace DeepSeekOps.Worker.Agent;

/// <summary>Where a control plane may be: one address, or those of all that stand in for each other, separated by commas.</summary>
internal static class ControlAddresses
{
    /// <summary>The next one after each that did not answer, and then the first again.</summary>
    public static string? At(string? addresses, int turn) =>
        addresses?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) is { Length: > 0 } all
        ? all[turn % all.Length] : addresses;
}

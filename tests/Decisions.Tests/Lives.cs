namespace DeepSeekOps.Decisions.Tests;

/// <summary>
/// How many random lives a property is held against: a third of them each time, all of them where DSOPS_FULL=1 is set (at night).
/// </summary>
internal static class Lives
{
    public static int Of(int full) => Environment.GetEnvironmentVariable("DSOPS_FULL") == "1" ? full : (full + 2) / 3;
}

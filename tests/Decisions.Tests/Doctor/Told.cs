using System.Collections.Immutable;
using DeepSeekOps.Decisions.Doctor;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Doctor;

/// <summary>What tests of findings ask.</summary>
internal static class Told
{
    /// <summary>The worst of that check, whose words are there and whose fix is one where something is to be done.</summary>
    public static Finding Of(IEnumerable<Finding> findings, string check)
    {
        var all = findings.ToImmutableArray();
        Assert.All(all, f => Assert.NotEmpty(f.Found));
        Assert.All(all.Where(f => f.Level >= FindingLevel.Warning), f => Assert.True(f.Fix.Length > 3, $"{f.Check} has no fix"));
        Assert.All(all.Where(f => f.Level == FindingLevel.Ok), f => Assert.Empty(f.Fix));
        return all.Where(f => f.Check == check).MaxBy(f => f.Level)
            ?? throw new InvalidOperationException($"no finding {check} among {string.Join(", ", all.Select(f => f.Check))}");
    }

    public static void Is(FindingLevel level, string words, IEnumerable<Finding> findings, string check)
    {
        var told = Of(findings, check);
        Assert.Equal((check, level), (told.Check, told.Level));
        Assert.Contains(words, $"{told.Found} | {told.Fix}", StringComparison.Ordinal);
    }
}

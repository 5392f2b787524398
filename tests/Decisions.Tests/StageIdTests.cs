using CsCheck;
using Xunit;

namespace DeepSeekOps.Decisions.Tests;

public sealed class StageIdTests
{
    /// <summary>Costs 0.1 s.</summary>
    [Fact]
    public void Stages_stand_in_the_ordinal_order_of_their_texts()
    {
        // '-' and '.' stand before '/', letters and digits behind it: a name that begins with another's.
        var name = Gen.String[Gen.Char["ab-.0"], 1, 4];
        var id = Gen.Select(name, name, (run, stage) => new StageId(run, stage));
        Gen.Select(id, id).Sample((a, b) =>
            Math.Sign(a.CompareTextTo(b)) == Math.Sign(string.CompareOrdinal(a.ToString(), b.ToString())));
    }
}

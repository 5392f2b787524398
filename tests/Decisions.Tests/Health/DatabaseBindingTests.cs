using DeepSeekOps.Decisions.Health;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Health;

public sealed class DatabaseBindingTests
{
    private const string Server = "PostgreSQL at 127.0.0.1:5432/ops";
    private static readonly DatabaseBinding OfServer = new("a", Server, "/data/.dsops");
    private static readonly DatabaseBinding OfFile = new("a", BindingVerdict.Embedded, "/data/.dsops");

    [Fact]
    public void A_new_directory_and_one_from_before_with_its_runs_are_bound()
    {
        Assert.Equal(new BindingVerdict.Bind(false), Decide(null, "a", Server));
        Assert.Equal(new BindingVerdict.Bind(false), Decide(null, null, BindingVerdict.Embedded));
        Assert.Equal(new BindingVerdict.Bind(false), Decide(null, "a", BindingVerdict.Embedded, knowsRuns: true, used: true));
        Assert.Equal(new BindingVerdict.Bind(false), Decide(OfServer, "a", Server, used: true));
    }

    [Fact]
    public void Leaving_the_database_out_is_never_advised_where_that_would_begin_an_empty_one()
    {
        var refused = Refused(Decide(OfServer, null, BindingVerdict.Embedded, used: true));
        Assert.Contains(Server, refused.Why, StringComparison.Ordinal);
        Assert.Contains("which knows no run", refused.Why, StringComparison.Ordinal);
        Assert.DoesNotContain("Leave --database out", refused.Fix, StringComparison.Ordinal);
        Assert.Contains("--rebind", refused.Fix, StringComparison.Ordinal);
        Assert.Contains("Leave --database out", Refused(Decide(OfFile, "b", Server)).Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void A_deleted_file_and_another_file_in_its_place_are_refused()
    {
        Assert.Contains("is gone", Refused(Decide(OfFile, null, BindingVerdict.Embedded, used: true)).Why, StringComparison.Ordinal);
        Assert.Contains("another database in its place", Refused(Decide(OfFile, "b", BindingVerdict.Embedded)).Why,
            StringComparison.Ordinal);
        Assert.Contains("another database in its place", Refused(Decide(OfServer, "b", Server, knowsRuns: true)).Why,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_used_directory_without_a_memory_is_refused_to_a_database_without_runs() => Assert.Contains(
        "knows no run", Refused(Decide(null, "b", Server, used: true)).Why, StringComparison.Ordinal);

    [Fact]
    public void A_copy_is_refused_while_the_original_stands_and_a_moved_directory_is_not()
    {
        var copy = new BindingSeen(OfFile, "a", BindingVerdict.Embedded, "/data/copy", KnowsRuns: true, FolderUsed: true,
            OriginalStands: true);
        Assert.Contains("copy of /data/.dsops", Refused(BindingVerdict.Decide(copy, rebind: false)).Why, StringComparison.Ordinal);
        Assert.Equal(new BindingVerdict.Bind(false), BindingVerdict.Decide(copy with { OriginalStands = false }, rebind: false));
        Assert.Equal(new BindingVerdict.Bind(true), BindingVerdict.Decide(copy, rebind: true));
    }

    private static BindingVerdict Decide(DatabaseBinding? bound, string? identity, string place, bool knowsRuns = false,
        bool used = false) =>
        BindingVerdict.Decide(new BindingSeen(bound, identity, place, "/data/.dsops", knowsRuns, used, OriginalStands: false),
            rebind: false);

    private static BindingVerdict.Refuse Refused(BindingVerdict verdict) => Assert.IsType<BindingVerdict.Refuse>(verdict);
}

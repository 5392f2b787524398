using DeepSeekOps.Decisions.People;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.People;

/// <summary>What a provider's claim gives, and how long what is handed on lasts. Costs nothing.</summary>
public sealed class GrantsTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private static readonly Grants Known = new(
    [
        new Grant("platform", Role.Admin, ""), new Grant("alpha-ops", Role.Operator, "alpha"), new Grant("beta-ops", Role.Operator, "beta"),
        new Grant("ops", Role.Operator, ""), new Grant("all", Role.Viewer, ""), new Grant("alpha-ops", Role.Viewer, ""),
    ]);

    [Theory]
    [InlineData("", null, "")]
    [InlineData("nothing,Platform,platform ", null, "")]
    [InlineData("all", Role.Viewer, "")]
    [InlineData("all,alpha-ops", Role.Operator, "alpha")]
    [InlineData("beta-ops,alpha-ops", Role.Operator, "alpha")]
    [InlineData("beta-ops,ops,all", Role.Operator, "")]
    [InlineData("all,ops,platform", Role.Admin, "")]
    public void The_highest_role_is_given_of_every_team_before_one_and_of_teams_the_first(string values, Role? role, string team)
    {
        var given = Known.Of(values.Split(','));
        Assert.Equal((role, team), (given?.Role, given?.Team ?? ""));
    }

    [Fact]
    public void An_admin_of_every_team_is_what_makes_a_first_code_needless()
    {
        Assert.True(Known.HaveAdmin);
        Assert.False(new Grants([new Grant("a", Role.Admin, "alpha"), new Grant("b", Role.Operator, "")]).HaveAdmin);
    }

    [Theory]
    [InlineData(Role.Admin, "", Role.Admin, "", false)]
    [InlineData(Role.Admin, "", Role.Operator, "", true)]
    [InlineData(Role.Viewer, "alpha", Role.Operator, "", false)]
    [InlineData(Role.Viewer, "", Role.Operator, "alpha", true)]
    [InlineData(Role.Viewer, "Alpha", Role.Operator, "alpha", false)]
    [InlineData(Role.Viewer, "beta", Role.Admin, "alpha", true)]
    public void What_is_more_than_somebody_is_given_now_ends(Role had, string of, Role now, string team, bool ends)
    {
        var token = new AccessToken("1", "x", had, of, Now, Now, "ann");
        Assert.Equal(ends, token.IsMoreThan(new Grant("v", now, team)));
        Assert.True(token.IsMoreThan(null));
    }

    [Fact]
    public void What_a_person_of_the_provider_makes_ends_within_a_month_and_before_what_it_was_made_with()
    {
        var ann = new Person("https://login.example.com", "1", "ann");
        var by = new AccessToken("1", "ci", Role.Admin, "", Now, Now.AddDays(9), "ann");
        Assert.Equal(Now.AddDays(366), Rights.LatestEnd(by.Holder, Now));
        Assert.Equal(Now.AddDays(90), Rights.UsualEnd(by.Holder, Now));
        Assert.Equal(Now.AddDays(9), Rights.LatestEnd((by with { Person = ann }).Holder, Now));
        Assert.Equal(Now.AddDays(9), Rights.UsualEnd((by with { Person = ann }).Holder, Now));
        var signedIn = (by with { Person = ann, SignIn = true, ExpiresAt = Now.AddHours(8) }).Holder;
        Assert.Equal(Now.AddDays(30), Rights.LatestEnd(signedIn, Now));
        Assert.Equal("sign-in of ci (admin of every team; 1 at https://login.example.com)", signedIn.InWords);
        Assert.Equal("token ci (admin of every team)", (by with { Person = ann }).Holder.InWords);
    }

    [Fact]
    public void A_person_is_issuer_and_subject_and_not_a_name()
    {
        var ann = new Person("https://login.example.com", "1", "ann");
        Assert.True(ann.IsSame(ann with { Name = "Ann M." }));
        Assert.False(ann.IsSame(ann with { Subject = "2" }));
        Assert.False(ann.IsSame(ann with { Issuer = "https://other.example.com" }));
        Assert.False(ann.IsSame(null));
    }
}

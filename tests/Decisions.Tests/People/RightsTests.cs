using DeepSeekOps.Decisions.People;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.People;

/// <summary>Who may do what, for every role, team and reach. Costs nothing.</summary>
public sealed class RightsTests
{
    private static readonly Role[] Roles = [Role.Viewer, Role.Operator, Role.Admin];

    [Fact]
    public void A_role_may_what_those_below_it_may_and_what_all_share_is_for_who_is_of_every_team()
    {
        foreach (var has in Roles)
        {
            foreach (var wants in Roles)
            {
                foreach (var reach in Enum.GetValues<Reach>())
                {
                    foreach (string team in new[] { "", "alpha" })
                    {
                        foreach (string run in new[] { "", "mini" })
                        {
                            bool shared = reach == Reach.EveryTeam || (reach == Reach.RunOrEveryTeam && run.Length == 0);
                            string? refusal = Rights.Refusal(new Holder("ann", has, team, "1"), "an-act", new Need(wants, reach), run);
                            Assert.Equal(has >= wants && (team.Length == 0 || !shared), refusal is null);
                            Assert.True(refusal?.Contains("dsops tokens create NAME --role", StringComparison.Ordinal) ?? true, refusal);
                        }
                    }
                }
            }
        }
    }

    [Theory]
    [InlineData("", "beta", true)]
    [InlineData("alpha", "alpha", true)]
    [InlineData("alpha", "Alpha", true)]
    [InlineData("alpha", "beta", false)]
    [InlineData("alpha", "", false)]
    [InlineData("alpha", null, false)]
    public void A_run_is_reached_by_its_team_and_one_that_is_not_there_sounds_like_anothers(string has, string? of, bool reached)
    {
        var who = new Holder("ann", Role.Admin, has, "1");
        string? refusal = Rights.RefusalOfRun(who, "cancel-run", "mini", of);
        Assert.Equal(reached, refusal is null);
        Assert.Equal(reached ? null : Rights.RefusalOfRun(who, "cancel-run", "mini", null), refusal);
    }

    [Fact]
    public void Nobody_hands_on_more_than_he_has()
    {
        foreach (var has in Roles)
        {
            foreach (var gives in Roles)
            {
                Assert.Equal(gives <= has, Rights.RefusalOfToken(new Holder("ann", has, "alpha", "1"), gives, "alpha") is null);
                Assert.NotNull(Rights.RefusalOfToken(new Holder("ann", has, "alpha", "1"), gives, "beta"));
                Assert.NotNull(Rights.RefusalOfToken(new Holder("ann", has, "alpha", "1"), gives, ""));
                Assert.Equal(gives <= has, Rights.RefusalOfToken(new Holder("ann", has, "", "1"), gives, "beta") is null);
            }
        }
    }

    [Fact]
    public void A_one_time_code_makes_a_token_and_opens_nothing_else()
    {
        var code = new Holder("first-admin", Role.Admin, "", "1") { Once = true };
        Assert.Null(Rights.Refusal(code, Rights.CreateToken, new Need(Role.Admin, Reach.InTheText), ""));
        string? refusal = Rights.Refusal(code, "ListRuns", new Need(Role.Viewer, Reach.RunOrList), "");
        Assert.Contains("one-time code", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void A_token_is_read_as_it_was_written_and_another_secret_is_another()
    {
        byte[] random = [.. Enumerable.Range(0, 32).Select(i => (byte)(i * 37))];
        string text = AccessToken.Text("0a1b2c3d4e", random);
        var read = AccessToken.Parse(text)!.Value;
        Assert.Equal("0a1b2c3d4e", read.Id);
        random[31]++;
        Assert.NotEqual(read.Digest, AccessToken.Parse(AccessToken.Text("0a1b2c3d4e", random))!.Value.Digest);
        Assert.All(["", "dsops", "dsops__x", "dsops_a_", "dsops_a_b_c", "other_a_b", "dsops_ä_b"], t => Assert.Null(AccessToken.Parse(t)));
    }
}

using CsCheck;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

public sealed class AccessKeyTests
{
    private static readonly AccessKey Key = new(new byte[AccessKey.Bytes]);

    private static readonly Gen<AgentClaims> Claims =
        from run in Name()
        from stage in Name()
        from gang in Gen.Int[1, int.MaxValue]
        from node in Name()
        select new AgentClaims(new GangId(new StageId(run, stage), gang), new NodeId(node));

    [Fact]
    public void An_agents_token_says_whom_it_is_for_and_only_its_own_key_believes_it() => Claims.Sample(claims =>
    {
        byte[] other = new byte[AccessKey.Bytes];
        other[^1] = 1;
        string token = Key.AgentToken(claims);
        Assert.Equal(claims, Key.Agent(token));
        Assert.Null(new AccessKey(other).Agent(token));
        Assert.False(Key.IsPeoplesToken(token));
    });

    [Fact]
    public void A_token_with_any_character_changed_opens_nothing() =>
        (from claims in Claims from at in Gen.Int[0, 1_000] from put in Gen.Char['!', '~'] select (claims, at, put)).Sample(one =>
        {
            char[] token = Key.AgentToken(one.claims).ToCharArray();
            int at = one.at % token.Length;
            if (token[at] != one.put)
            {
                token[at] = one.put;
                Assert.Null(Key.Agent(new string(token)));
            }
        });

    [Fact]
    public void Whatever_stands_in_the_header_is_no_error() => Gen.String.Sample(text =>
    {
        Assert.Null(Key.Agent(text));
        Assert.Null(Key.Agent($"agent.{text}.{text}"));
        Assert.False(Key.IsPeoplesToken(text) || Key.IsPageCode(text) || Key.IsCookie(text));
    });

    [Fact]
    public void What_opens_one_door_opens_no_other()
    {
        string[] all = [Key.PeoplesToken, Key.PageCode, Key.CookieValue, Key.CookieName];
        Assert.Equal(all.Length, all.Distinct().Count());
        Assert.False(
            Key.IsPeoplesToken(Key.CookieValue) || Key.IsPeoplesToken(Key.PageCode) || Key.IsCookie(Key.PeoplesToken)
                || Key.IsPageCode(Key.CookieValue));
        Assert.True(Key.IsPeoplesToken(Key.PeoplesToken) && Key.IsPageCode(Key.PageCode) && Key.IsCookie(Key.CookieValue));
    }

    private static Gen<string> Name() => Gen.String[Gen.Char["abcxyzABCXYZ0189-_."], 1, 60];
}

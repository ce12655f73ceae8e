/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that only exits, linked statically: the least that exec can start.
 */
int main(void)
{
    return 0;
}
